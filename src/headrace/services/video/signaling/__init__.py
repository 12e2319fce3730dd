"""Signaling for WebRTC: how a master and its viewers find each other."""
