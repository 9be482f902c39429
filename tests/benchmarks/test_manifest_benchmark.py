from benchmarks.manifest import measure


def test_it_measures_a_small_manifest(tmp_path):
    told = measure(tmp_path, 20, 1)
    assert set(told["seconds"]) == {
        "data check",
        "first prepare",
        "prepare with nothing changed",
        "write tables",
        "read tables",
    }
    assert told["peak_memory_bytes"] > 0
