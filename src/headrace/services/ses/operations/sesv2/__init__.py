"""SES, version 2 of the API."""
