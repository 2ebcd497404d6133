"""The report page: parts that any benchmark can use, its sections, and the page that holds them."""
