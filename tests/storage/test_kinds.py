"""What options may be: nothing that would be taken for something else than was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resto.exceptions import ConfigurationError
from resto.storage.kinds import require_directory_mode, require_file_mode, require_flag, require_path


@pytest.mark.parametrize("value", [True, False, 0, 1])
def test_flag(value):
    require_flag("overwrite", value)


@pytest.mark.parametrize("value", ["False", "", None, 2, 0.0, [], b"1"])
def test_no_flag(value):
    with pytest.raises(ConfigurationError, match="overwrite must be True or False") as caught:
        require_flag("overwrite", value)
    assert caught.value.code == "E027"


@pytest.mark.parametrize("mode", [None, 0o644, 0o600, 0o640, 0o444, 0o777])
def test_mode_of_files(mode):
    require_file_mode(mode)


@pytest.mark.parametrize("mode", [None, 0o755, 0o700, 0o2775, 0o750])
def test_mode_of_directories(mode):
    require_directory_mode(mode)


@pytest.mark.parametrize("mode", ["0o644", True, 0o2644, 0o4755, 0o044, 0, -1, 6.44])
def test_no_mode_of_files(mode):
    with pytest.raises(ConfigurationError, match="file_permissions_mode, or FILE_UPLOAD_PERMISSIONS,"):
        require_file_mode(mode)


@given(st.integers(0o600, 0o777))
def test_mode_of_files_that_is_written_without_its_prefix(mode):
    with pytest.raises(ConfigurationError) as caught:
        require_file_mode(int(f"{mode:o}"))
    assert f"such as {mode:#o};" in caught.value.hint


@pytest.mark.parametrize("mode", [755, 775, 750, 700, 770, 777, 2755, 2775, 1777])
def test_decimal_mode_of_directories(mode):
    with pytest.raises(ConfigurationError, match=f"is {mode}, which is the mode 0o") as caught:
        require_directory_mode(mode)
    assert f"such as 0o{mode};" in caught.value.hint


@pytest.mark.parametrize("value", [3, b"/media", None])
def test_no_path(value):
    with pytest.raises(ConfigurationError, match="location must be a path, not "):
        require_path("location", value)
