"""The operations of SES, a folder for each of its two APIs."""
