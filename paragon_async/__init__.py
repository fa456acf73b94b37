"""An async SDK for Paragon's Managed Sync."""
