from __future__ import annotations

from pathlib import Path

import pytest

from distmarl.config.reading import RawSweep, apply_overrides, read_sweep_file, split_key
from distmarl.config.yaml_text import dump_yaml
from distmarl.errors import ConfigError


def write(folder: Path, text: str, name: str = "sweep.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_json_and_yaml_read_alike(tmp_path: Path) -> None:
    json_file = write(tmp_path, '{"name": "a", "experiment": {"k_range": [1, 3]}}', "a.json")
    yaml_file = write(tmp_path, "name: a\nexperiment: {k_range: [1, 3]}\n")
    assert read_sweep_file(json_file).mapping == read_sweep_file(yaml_file).mapping


def test_an_exponent_without_a_point_is_a_number(tmp_path: Path) -> None:
    raw = read_sweep_file(write(tmp_path, "global_agent: {convergence_threshold: 1e-6}"))
    assert raw.mapping["global_agent"]["convergence_threshold"] == 1e-6


def test_a_sweep_without_a_name_is_named_like_its_file(tmp_path: Path) -> None:
    assert read_sweep_file(write(tmp_path, "", "hyperparameters.json")).mapping == {"name": "hyperparameters"}
    assert read_sweep_file(write(tmp_path, "name: given", "my sweep.yaml")).mapping == {"name": "given"}
    with pytest.raises(ConfigError, match="name: is required, since the file's own name cannot name a folder"):
        read_sweep_file(write(tmp_path, "", "my sweep.yaml"))


def test_keys_must_be_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.yaml:2: keys must be text, got 1$"):
        read_sweep_file(write(tmp_path, "name: x\nenvironment: {1: 2}"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name: x\nenvironment: {n_agents: 10, gamma: 0,95}", "95"),
        ("name: x\nenvironment: {gamma: 0,05, n_agents: 10}", "5"),
        ("name: x\nglobal_agent: {convergence_threshold: 1,5e-3}", "0.005"),
    ],
)
def test_a_decimal_comma_in_braces_is_told_by_its_line_with_the_remedy(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_sweep_file(write(tmp_path, text))
    message = f":2: keys must be text, got {key}; write decimals with a point, as in 0.95"
    assert str(caught.value).endswith(message)


def test_a_decimal_comma_in_an_override_gets_the_same_remedy(tmp_path: Path) -> None:
    raw = read_sweep_file(write(tmp_path, "name: x"))
    for assignment in ("environment={gamma: 0,95}", "grid={environment.gamma: 0,95}"):
        with pytest.raises(ConfigError) as caught:
            apply_overrides(raw, [assignment])
        message = f"--set {assignment}: keys must be text, got 95; write decimals with a point, as in 0.95"
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "sweep.yaml:1: is not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "sweep.yaml:3: is not valid YAML: a is given twice, first in line 1; keep one of them"),
        ("- 1\n- 2\n", "must be a mapping of sections, got a list"),
        ("a: &x [1]\nb: !!python/object:os.system {}\n", "is not valid YAML"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_sweep_file(write(tmp_path, text))
    assert message in str(caught.value)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "", "robots.yaml")
    with pytest.raises(ConfigError, match=r"there is no such file \(did you mean .*robots\.yaml\?\)"):
        read_sweep_file(tmp_path / "robot.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_bytes(b"\xff\x00")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        read_sweep_file(tmp_path / "sweep.yaml")


def test_overrides_are_yaml_and_make_their_sections() -> None:
    raw = apply_overrides(
        RawSweep({"experiment": {"seed": 1}}, "f"),
        ["experiment.seed=2", "evaluation.horizon=7", "experiment.k_values=[1, 2]", "runner.num_cpus=null"],
    )
    assert raw.mapping == {
        "experiment": {"seed": 2, "k_values": [1, 2]},
        "evaluation": {"horizon": 7},
        "runner": {"num_cpus": None},
    }


def test_overrides_leave_the_sweep_that_they_are_applied_to_alone() -> None:
    raw = RawSweep({"experiment": {"seed": 1}}, "f")
    apply_overrides(raw, ["experiment.seed=2"])
    assert raw.mapping == {"experiment": {"seed": 1}}


def test_what_follows_grid_is_one_key() -> None:
    assert split_key("grid.environment.n_agents") == ("grid", "environment.n_agents")


@pytest.mark.parametrize("assignment", ["experiment.seed", "=3", "experiment..seed=3", "a.b=[1", "name.x=1"])
def test_an_impossible_override_is_refused_by_its_text(assignment: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_overrides(RawSweep({"name": "n"}, "f"), [assignment])
    assert str(caught.value).startswith(f"--set {assignment}: ")


def test_the_place_of_a_key_is_its_line_or_its_override(tmp_path: Path) -> None:
    raw = read_sweep_file(write(tmp_path, "name: a\nexperiment:\n  k_values: [1,\n    2]\n  seed: 0\n"))
    assert raw.place(("experiment", "seed")).endswith("sweep.yaml:5")
    assert raw.place(("experiment", "k_values", 1)).endswith("sweep.yaml:4")
    assert raw.place(("experiment", "absent")).endswith("sweep.yaml:2")
    assert apply_overrides(raw, ["experiment.seed=3"]).place(("experiment", "seed")) == "--set experiment.seed=3"


def test_dumped_yaml_reads_back_the_same(tmp_path: Path) -> None:
    mapping = {"name": "a", "x": {"threshold": 1e-6, "none": None, "list": [1, 2.5, "three"], "flag": True}}
    assert read_sweep_file(write(tmp_path, dump_yaml(mapping))).mapping == mapping
