"""Nothing is protected: every verb keeps its default."""
