"""Playback: sessions, playlists, segments, clips and images."""
