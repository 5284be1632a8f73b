"""Secrets in command lines: gone wherever they are known to hide, and nothing harmless gone with them."""

from __future__ import annotations

import json
import shlex
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.redact import GONE, is_secret_name, redact_arguments, redact_environment, redact_text

ODD = "!#%+,./:;<>?@[]^_{|}~-$&*()="
secrets = st.text(string.ascii_letters + string.digits + ODD, min_size=1, max_size=24).map(
    lambda text: f"Zq7{text}"
)
"""Printable words without quotes or spaces; the head makes sure that finding one is no accident."""
spaced = st.text(string.ascii_letters + string.digits + ODD + " '\"\\", max_size=24).map(
    lambda text: f"Zq7{text}Zq7"
)
tame = st.text(string.ascii_letters + string.digits + "_.~-", min_size=1, max_size=24).map(
    lambda text: f"Zq7{text}"
)
names = st.sampled_from(
    [
        "token",
        "api-key",
        "API_KEY",
        "HF_TOKEN",
        "apiKey",
        "clientSecret",
        "db.password",
        "hftoken",
        "PGPASSWORD",
        "auth",
    ]
)


def assert_gone(secret: str, arguments: list[str]) -> None:
    kept = redact_arguments(["prog", *arguments, "--lr", "0.1"])
    assert "Zq7" not in " ".join(kept), kept
    assert kept[0] == "prog"
    assert kept[-2:] == ["--lr", "0.1"], "what follows a secret stays"
    assert GONE in " ".join(kept)


@given(names, spaced)
def test_values_of_secret_names(name: str, secret: str):
    assert_gone(secret, [f"--{name}", secret])
    assert_gone(secret, [f"--{name}={secret}"])
    assert_gone(secret, [f"{name}={secret}"])
    assert_gone(secret, [f"++trainer.{name}={secret}"])
    assert_gone(secret, [f"--set={name}={secret}"])


@given(names, spaced)
def test_json(name: str, secret: str):
    data = {"lr": 0.1, "deep": [{name: secret}, {"name": name.upper(), "value": secret}, {name: [secret]}]}
    assert_gone(secret, [json.dumps(data)])
    assert_gone(secret, [f"--config={json.dumps(data)}"])
    assert_gone(secret, [json.dumps({"inner": json.dumps(data)})])
    assert_gone(secret, [json.dumps(["run", f"--{name}", secret])])
    kept = json.loads(redact_arguments([json.dumps(data)])[0])
    assert kept["lr"] == 0.1


@given(names, spaced)
def test_shell_scripts_keep_their_harmless_rest(name: str, secret: str):
    quoted = shlex.quote(secret)
    variable = name.replace("-", "_").replace(".", "_")
    for script in (
        f"{variable}={quoted} python t.py --lr 0.1",
        f"export {variable}={quoted}; python t.py --lr 0.1",
        f"cd x && python t.py --{name} {quoted} --lr 0.1",
        f"python t.py --{name} \\\n {quoted} --lr 0.1",
        f"bash -c {shlex.quote(f'{variable}={quoted} python t.py')} && python t.py --lr 0.1",
        f"curl -H {shlex.quote(f'Authorization: Bearer {secret}')} | python t.py --lr 0.1",
    ):
        for command in (["sh", "-c", script], ["/bin/bash", "-lc", script], ["sbatch", f"--wrap={script}"]):
            kept = redact_arguments(command)
            assert "Zq7" not in " ".join(kept), kept
            assert "python t.py" in kept[-1]
            assert kept[-1].endswith("--lr 0.1")


@given(secrets)
def test_headers(secret: str):
    assert_gone(secret, ["-H", f"Authorization: Bearer {secret}"])
    assert_gone(secret, [f"--header=Authorization: Bearer {secret}"])
    assert_gone(secret, ["-H", f"Cookie: a=1; session={secret}"])
    assert_gone(secret, ["-H", f"X-Api-Key: {secret}"])
    assert_gone(secret, ["-H", "Authorization:", "Bearer", secret])
    assert_gone(secret, ["Bearer", secret])


@given(tame)
def test_urls(secret: str):
    assert_gone(secret, [f"postgresql://me:{secret}@host/db"])
    assert_gone(secret, [f"--url=https://{secret}@host/x.git"])
    assert_gone(secret, [f"https://host/x?lr=1&api_key={secret}&n=2#end"])
    assert_gone(secret, [f"https://host/x?X-Amz-Signature={secret}"])
    assert_gone(secret, [f"sqlite and redis://:{secret}@host:6379/0 then"])
    assert_gone(secret, ["-u", f"me:{secret}"])
    assert_gone(secret, [f"--user=me:{secret}"])


@given(names, tame)
def test_code_and_free_text(name: str, secret: str):
    assert_gone(secret, ["-c", f"import os; os.environ['{name}'] = '{secret}'; train(lr=0.1)"])
    assert_gone(secret, ["-c", f'login({name.replace("-", "_")}="{secret}")'])
    assert_gone(secret, [f"train --{name} {secret} now"])
    assert_gone(secret, [f"{{{name}: {secret}, lr: 1}}"])
    assert_gone(secret, [f"fetch 'Cookie: a={secret}; b={secret}' now"])
    assert "Zq7" not in redact_text(f"cannot open x with {name}={secret}")


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-" + "a1B2" * 8, "sk_live_" + "a1B2" * 6, "hf_" + "aB3" * 10, "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2_" * 9, "glpat-" + "a1B2" * 5, "xoxb-1234567890-abc", "AKIA" + "ABCD2345" * 2,
        "AIza" + "a1B2-" * 7, "nvapi-" + "a1B2" * 8, "gsk_" + "a1B2" * 8,
        "eyJ" + "hbGc" * 4 + ".eyJ" + "zdWI" * 4 + ".sg-1_x",
        "0123456789abcdef" * 2 + "01234567", "https://hooks.slack.com/services/T0/B0/a1B2c3",
        "dckr_pat_" + "a1B2-" * 5, "shpat_" + "0a1b" * 8, "shpss_" + "0a1b" * 8, "AGE-SECRET-KEY-1" + "QPZRY9X8" * 7,
        "hvs." + "a1B2" * 8, "glsa_" + "a1B2" * 8, "dop_v1_" + "0a1b" * 16, "tskey-auth-" + "a1B2" * 5,
        "whsec_" + "a1B2" * 8,
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_words_that_have_the_shape_of_a_key(key: str):
    for kept in (
        redact_arguments([key])[0],
        redact_arguments([f"x={key}"])[0],
        redact_text(f"is {key} right?"),
    ):
        assert GONE in kept
        assert key[-8:] not in kept


@pytest.mark.parametrize(
    "command",
    [
        "python train.py --max-tokens 128 --tokenizer gpt2 --key-dim 64 --num_key_value_heads 8 --tokens 4096",
        "python train.py --max_new_tokens=128 --pad_token=<pad> --tokens-per-second 3 --monkey yes --author me --tokens=4k",
        "python -u -m torch.distributed.run --nproc-per-node 2 pkg:main",
        "docker run -u 1000:1000 -v /a:/b image:tag@sha256",
        "ssh -p 22 git@github.com:a/b http://localhost:8080/a@b s3://bucket/key C:/x 12:30",
        "vllm serve org/model --max-num-batched-tokens 8192 --context_tokens 5 --token_type_ids 1 --detokenize x",
        "x /hub/models--a/snapshots/0123456789012345678901234567890123456789/config.json",
        "python t.py a=1 model.lr=0.1 +data={x:1,y:2} compass=3 passes=2",
    ],
)
def test_harmless_words_stay(command: str):
    assert redact_arguments(command.split()) == command.split()


@pytest.mark.parametrize("flag", ["--otp", "--pin", "--totp", "--mfa", "--user-pin", "--pw", "--passkey"])
def test_words_for_one_time_and_short_secrets(flag: str):
    assert redact_arguments([flag, "493817", "--lr", "1"]) == [flag, GONE, "--lr", "1"]
    assert redact_arguments([f"{flag}=493817"]) == [f"{flag}={GONE}"]
    assert redact_arguments(["--pin-memory", "true", "--pin_memory=1"]) == [
        "--pin-memory",
        "true",
        "--pin_memory=1",
    ]


@given(tame)
def test_logins_without_a_scheme(secret: str):
    for login in (f"user:{secret}@host", f"me:{secret}@db.example.org:5432/x", f"rsync a.b:{secret}@h:/data"):
        assert "Zq7" not in redact_text(login)
        assert "Zq7" not in " ".join(redact_arguments(["psql", login]))


@given(tame)
def test_sentences_that_say_a_secret(secret: str):
    for said in ("password is", "The passphrase was:", "my API key is", "PIN is", "pass word is '"):
        assert "Zq7" not in redact_text(f"{said} {secret}".replace("' ", "'"))
        assert "Zq7" not in redact_arguments(["--prompt", f"note: {said} {secret} now".replace("' ", "'")])[1]
    assert redact_text("the password is required") == "the password is required"


def test_a_harmless_word_does_not_shield_a_secret_one():
    for name in ("tokenizer_hub_token", "MONKEY_API_KEY", "max_tokens_password", "key_dim_secret"):
        assert is_secret_name(name)


def test_a_flag_without_value_takes_nothing_from_the_next_one():
    assert redact_arguments(["x", "--use-auth-token", "--lr", "0.1"]) == [
        "x",
        "--use-auth-token",
        "--lr",
        "0.1",
    ]


def test_several_values_of_one_flag():
    assert redact_arguments(["--api-keys", "a", "b", "--lr", "1"]) == ["--api-keys", GONE, GONE, "--lr", "1"]


def test_an_untouched_script_stays_as_it_was_written():
    script = "for i in 1 2; do  python 't.py'  --n \"$i\" \\\n --lr 0.1; done | tee 'a b'"
    assert redact_arguments(["sh", "-c", script]) == ["sh", "-c", script]


@given(st.lists(st.text(max_size=40), max_size=6))
def test_any_words_at_all_are_taken(words: list[str]):
    assert len(redact_arguments(words)) == len(words)
    assert redact_arguments(["sh", "-c", " ".join(words)])[:2] == ["sh", "-c"]


def test_few_variables_are_kept_and_those_are_clean():
    kept = redact_environment(
        {
            "OMP_NUM_THREADS": "4",
            "HF_TOKEN": "x",
            "MASTER_ADDR": "tcp://me:pw@node",
            "PATH": "/bin",
            "HOME": "/root",
        }
    )
    assert kept == {"OMP_NUM_THREADS": "4", "MASTER_ADDR": f"tcp://{GONE}@node"}


@pytest.mark.parametrize(
    "command",
    [
        ["mysql", "-uroot", "-phunter22"],
        ["/usr/bin/sshpass", "-p", "hunter22", "ssh", "host"],
        ["docker", "login", "-u", "me", "-p", "hunter22"],
        ["redis-cli", "-h", "host", "-a", "hunter22"],
        ["curl", "-b", "sid=hunter22", "host"],
        ["sh", "-c", "mysql -phunter22 < x.sql"],
    ],
)
def test_short_flags_that_take_a_password_are_known_by_their_program(command: list[str]) -> None:
    assert not any("hunter22" in word for word in redact_arguments(command))


def test_short_flags_of_other_programs_are_kept() -> None:
    command = ["docker", "run", "-p", "8080:80", "image", "train", "-a", "5"]
    assert redact_arguments(command) == command
