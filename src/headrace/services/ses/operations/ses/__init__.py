"""SES, version 1 of the API."""
