"""Clusters: the redshift API."""
