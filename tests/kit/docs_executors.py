"""The executors of the docs: for mutants of them, that break a promise each."""

from kit.documents import ROOT, load_module


PAGE = ROOT / "docs" / "write-an-executor.md"
PoolExecutor = load_module(PAGE, "resto_pool").PoolExecutor
SpoolExecutor = load_module(PAGE, "resto_spool").SpoolExecutor
