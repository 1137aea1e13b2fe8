"""The installed command against real servers, as an operator and a sales person would use it."""
