"""SQL over HTTPS: the redshift-data API."""
