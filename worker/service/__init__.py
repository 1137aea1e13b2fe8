"""The service: polls for ever, by schedule and whenever new mail is announced, through outages and reloads."""
