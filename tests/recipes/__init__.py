"""The mail server recipes of config/, each run with its real programs: SMTP in, decision out."""
