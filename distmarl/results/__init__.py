"""What a sweep leaves behind: Parquet tables, and what is needed to trust them."""
