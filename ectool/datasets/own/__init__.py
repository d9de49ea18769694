"""The user's own data: folders, tables and stored artifacts."""
