"""The API as methods: syncs, records, permissions."""
