"""SES: sends mail, keeps a mailbox to look into, and relays to a real SMTP server."""
