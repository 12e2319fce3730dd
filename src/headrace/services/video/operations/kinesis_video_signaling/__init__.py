"""Operations of kinesis-video-signaling."""
