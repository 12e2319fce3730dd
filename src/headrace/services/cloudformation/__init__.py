"""CloudFormation: stacks of resources, made, changed and removed as a template says."""
