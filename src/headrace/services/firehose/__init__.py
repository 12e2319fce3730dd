"""Data Firehose: buffers records durably, transforms them, and delivers them to S3 and Redshift."""
