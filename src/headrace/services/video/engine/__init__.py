"""The containers of video: Matroska, read and written."""
