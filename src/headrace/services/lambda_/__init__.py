"""AWS Lambda: functions without servers, and what feeds them."""
