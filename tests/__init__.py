"""The tests: units beside nothing, integration against real servers, acceptance by the command."""
