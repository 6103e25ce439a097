"""The demo APIs: what they serve is realistic, lawful and always the same."""
