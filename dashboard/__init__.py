"""What people look at. Here is the Vietnamese and English message catalogue that the command line speaks through."""
