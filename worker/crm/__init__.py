"""What administrators do: each function loads, asks the domain, writes; all in one transaction of its own."""
