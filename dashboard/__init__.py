"""What people look at. For now the Vietnamese and English message catalogue."""
