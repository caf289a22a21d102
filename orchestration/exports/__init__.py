"""Jobs as tables for pandas, polars and DuckDB: lines of JSON, or Parquet."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
