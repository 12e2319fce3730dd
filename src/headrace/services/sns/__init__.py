"""SNS: topics that hand messages on."""
