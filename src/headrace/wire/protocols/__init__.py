"""One module per AWS protocol: requests in, answers and errors out."""
