"""The machine of SES: templates, addresses and MIME messages; pure."""
