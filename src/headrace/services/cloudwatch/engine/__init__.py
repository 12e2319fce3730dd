"""The machine of CloudWatch: statistics that can be added up."""
