"""The pure machinery of deliveries: prefix expressions, transformation batches, object bodies and COPY statements."""
