"""Every view against an independent computation over the same rows."""
