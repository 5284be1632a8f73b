"""``wattmark llm``: serve a language model, and measure what serving costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from wattmark.cli.llm.train import train
from wattmark.cli.terminal.options import JsonPath, number_or_words
from wattmark.cli.terminal.output import console, plain, say, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.serving.server.local import ServerOptions

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

SlotsOption = Annotated[
    int | None, typer.Option(min=1, help="Requests that a local server works on at once.")
]
ContextOption = Annotated[
    int, typer.Option(min=1, help="Tokens per slot of a local server, prompt and answer.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="Threads of a local server (default: cores less one).")
]
FormatOption = Annotated[str, typer.Option("--number-format", help="Of a random model: f16 or q8_0.")]
SeedOption = Annotated[int, typer.Option(help="Of random weights, prompts and arrivals.")]


@app.callback()
def llm() -> None:
    """Language models: serve one, and measure joules per token and request of any OpenAI-compatible server.

    \b
    Example: wattmark llm bench local:1m --concurrency 2 --requests 20
    """


@app.command()
def serve(
    size: Annotated[
        str | None, typer.Option(help="A model of this size with random weights: 1m, 10m, 100m, 1.5b.")
    ] = None,
    gguf: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|OWNER/NAME[:FILE]", help="A GGUF file to serve instead, here or of Hugging Face."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    slots: SlotsOption = None,
    context: ContextOption = 2048,
    threads: ThreadsOption = None,
    number_format: FormatOption = "f16",
    seed: SeedOption = 0,
    prompt_cache: Annotated[bool, typer.Option("--prompt-cache", help="Keep prefixes seen before.")] = False,
) -> None:
    """Serve a model on this machine until Ctrl-C, with llama.cpp. Needs wattmark[llm].

    \b
    Example: wattmark llm serve --size 10m --port 8080
    """
    import os
    from pathlib import Path

    from wattmark.cli.llm.progress import WritingBar
    from wattmark.serving.server.hub import is_hub_name
    from wattmark.serving.server.local import LOCAL, open_server

    model = size
    if gguf is not None:
        model = gguf if is_hub_name(gguf) else str(Path(gguf).expanduser().resolve())
    if model is None or (size is not None and gguf is not None):
        raise ConfigError("give a size or a GGUF file", hint="wattmark llm serve --size 10m")
    options = _options(slots, context, threads, number_format, seed, port, prompt_cache)
    with WritingBar() as bar, open_server(LOCAL + model, options, on_writing=bar.show) as target:
        bar.clear()
        typer.echo(f"{target.base_url} serves {plain(target.description)}")
        typer.echo(f"measure it: wattmark llm bench {target.base_url} --concurrency 4 --requests 100")
        assert target.pid is not None
        try:  # until the server ends, or Ctrl-C; its state is left for the one that started it
            os.waitid(os.P_PID, target.pid, os.WEXITED | os.WNOWAIT)
            say(f"the server ended by itself; see {target.log_path}")
            raise typer.Exit(1)
        except KeyboardInterrupt:
            say("the server is taken down")


@app.command()
def bench(
    where: Annotated[
        str,
        typer.Argument(
            metavar="URL|local:SIZE|local:MODEL",
            help="A server; or a model to be served for the time: a size, a GGUF file, or OWNER/NAME[:FILE].",
        ),
    ],
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", "-c", min=1, help="So many requests at a time (default: 4)."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", "-r", help="Requests/s, whatever the server does with them.")
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:LOADS",
            help="Rising loads: concurrency:1-32 (doubling) or rate:0.5,1,2 (as listed).",
        ),
    ] = None,
    arrivals: Annotated[str, typer.Option(help="Of a rate: poisson, constant, or gamma:SHAPE.")] = "poisson",
    requests: Annotated[
        int | None,
        typer.Option(
            "--requests", "-n", min=1, help="How many are sent (default: 100, or ten times the concurrency)."
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="For how long they are sent.")] = None,
    stages: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:A[-B]@SECONDS,...",
            help="Loads that follow each other, with ramps: rate:1-20@60,20@30 or concurrency:1-8@60,8@30.",
        ),
    ] = None,
    max_in_flight: Annotated[
        int | None, typer.Option(min=1, help="Of a rate: so many at a time at most; the others wait.")
    ] = None,
    think: Annotated[
        float, typer.Option(min=0.0, help="Seconds between a user's requests, on average.")
    ] = 0.0,
    ramp_up: Annotated[
        float, typer.Option(min=0.0, help="Seconds over which the users of a concurrency come.")
    ] = 0.0,
    warm_up: Annotated[
        int, typer.Option("--warm-up", min=0, help="Requests that are sent first and are in no figure.")
    ] = 0,
    input_tokens: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Tokens of a prompt: 128, 64-256, normal:512,64, lognormal:512,256.  [default: 64]",
        ),
    ] = None,
    output_tokens: Annotated[
        str | None, typer.Option("--output", help="Tokens of an answer, likewise.  [default: 32]")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(metavar="PATH", help="A file of prompts to send instead; as --data.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|KIND:PATH|hf:NAME|ms:NAME",
            help="JSONL, JSON, CSV, Parquet, ShareGPT, OpenAI batch lines, also .gz; traces of Azure, BurstGPT and "
            "Mooncake with their arrivals; data sets of Hugging Face and ModelScope.",
        ),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Where the text of a row is.")] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="A trace so many times as fast.")] = 1.0,
    turns: Annotated[
        int | None, typer.Option(min=1, help="Turns of a conversation; of data so many at most.")
    ] = None,
    prefix: Annotated[int, typer.Option(min=0, help="Tokens that all prompts share at their beginning.")] = 0,
    images: Annotated[
        str | None,
        typer.Option(metavar="WxH|FOLDER", help="An image with each prompt: made up, or of a folder."),
    ] = None,
    audio: Annotated[
        str | None, typer.Option(metavar="SECONDS|FOLDER", help="A sound with each prompt, likewise.")
    ] = None,
    video: Annotated[
        str | None, typer.Option(metavar="FILE|FOLDER", help="A video with each prompt.")
    ] = None,
    media_number: Annotated[
        int, typer.Option("--media-number", min=1, help="So many images (sounds, videos) with each prompt.")
    ] = 1,
    endpoint: Annotated[
        str,
        typer.Option(help="chat, completions, embeddings, rerank, speech or transcriptions."),
    ] = "chat",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Texts to embed (1), or documents to rank (8), in one request.")
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Makes the text for --completions: chatml, llama3, gemma, mistral, plain, or a Jinja file.",
        ),
    ] = None,
    body: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@PATH", help="Fields of every request: sampling, tools, structured output, n ..."
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VALUE", help="A header of every request; no secrets.")
    ] = None,
    records: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Write every request with its times, tokens and joules: JSON lines, or x.parquet.",
        ),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Write the loads as x.csv, x.md or x.html; again for more."),
    ] = None,
    power: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="The server's power: ssh://HOST, agent://HOST:9464, prometheus://HOST:9090/?query=METRIC, or an exporter's "
            "page; again for each replica.",
        ),
    ] = None,
    search: Annotated[
        bool,
        typer.Option("--search", help="Search the largest load within the limits, and the cheapest in them."),
    ] = False,
    search_seconds: Annotated[
        float, typer.Option(min=1, help="A search begins no further load after so long.")
    ] = 900.0,
    attain: Annotated[
        float, typer.Option(min=1, max=100, help="Percent of the requests that must meet the limits.")
    ] = 95.0,
    keep_text: Annotated[bool, typer.Option("--keep-text", help="With the text of the answers.")] = False,
    processes: Annotated[int, typer.Option(min=1, help="Processes that generate the load.")] = 1,
    e2e: Annotated[float | None, typer.Option(help="Seconds of a whole answer that are good enough.")] = None,
    ttft: Annotated[
        float | None, typer.Option(help="Seconds to the first token that are good enough.")
    ] = None,
    tpot: Annotated[
        float | None, typer.Option(help="Seconds per token after the first that are good enough.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model to ask a server for; several by shares of the requests: base=0.7,lora=0.3."
        ),
    ] = None,
    dialect: Annotated[
        str, typer.Option(help="What kind of server: auto, vllm, llama.cpp, ollama, tgi, hosted ...")
    ] = "auto",
    completions: Annotated[
        bool, typer.Option("--completions", help="Use /v1/completions instead of chat.")
    ] = False,
    stream: Annotated[bool, typer.Option(help="Whether answers come token by token.")] = True,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which a request is given up.")
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds for which answers are awaited after the last request.  [default: 600; as long as --seconds]",
        ),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds to wait for a server that starts.  [default: 600 where it says that it loads]",
        ),
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable that holds the API key.")
    ] = None,
    api_key_file: Annotated[str | None, typer.Option(metavar="PATH", help="The file that does.")] = None,
    ca_file: Annotated[
        str | None, typer.Option(metavar="PATH", help="Certificates of an authority of your own.")
    ] = None,
    server_pid: Annotated[
        list[int] | None,
        typer.Option(
            metavar="PID",
            help="A process of the server, its children included; again for more.  [default: who listens]",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do not check the certificate of a server that you trust.")
    ] = False,
    slots: SlotsOption = None,
    context: ContextOption = 2048,
    threads: ThreadsOption = None,
    number_format: FormatOption = "f16",
    baseline: Annotated[
        float, typer.Option(min=0.0, help="Seconds for which the idle machine is measured first.")
    ] = 2.0,
    seed: SeedOption = 0,
    name: Annotated[str | None, typer.Option(help="What the run is called.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="K[=V]", help="A word or pair to find it by; may be repeated.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Where the power comes from, for carbon: FR.")] = None,
    price: Annotated[
        str | None, typer.Option(help="Of a kilowatt-hour, in your currency: 0.30, or a range, 0.25-0.35.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live line and no tables.")] = False,
    json_path: JsonPath = None,
) -> None:
    """Send a load to a model server and account for its joules: per token, per request, with and without idle.

    The server's energy is known where it runs on this machine. Ctrl-C ends the load and keeps what was measured.

    \b
    Example: wattmark llm bench local:10m --sweep concurrency:1-16 --requests 100
    Example: wattmark llm bench http://127.0.0.1:8000 --search --ttft 0.5 --tpot 0.05 --report best.html
    """
    from dataclasses import replace

    from wattmark.cli.llm.bench import run_bench
    from wattmark.cli.llm.results import check_paths, write_files
    from wattmark.cli.run.command import parse_tags
    from wattmark.serving.asked import Asked, as_endpoint, shares_of
    from wattmark.serving.loads import LoadSeries
    from wattmark.serving.prompts.template import ChatTemplate

    if sum(given is not None for given in (concurrency, rate, sweep, stages)) > 1:
        raise ConfigError("--concurrency, --rate, --sweep and --stages exclude each other; give one of them")
    if prompts is not None and data is not None:
        raise ConfigError("--prompts and --data exclude each other; give one of them")
    asked = Asked(
        endpoint="completions" if completions else as_endpoint(endpoint),
        input=input_tokens,
        output=output_tokens,
        data=data if prompts is None else prompts,
        column=column,
        speed=speed,
        turns=turns,
        prefix=prefix,
        images=images,
        audio=audio,
        video=video,
        media_number=media_number,
        batch=batch,
        stages=stages,
        arrivals=arrivals,
        think_s=think,
        ramp_s=ramp_up,
        seed=seed,
    )
    kind, load = asked.at(concurrency, rate)
    ask = LoadSeries(
        kind=kind,
        loads=(load,),
        asked=asked,
        requests=requests,
        seconds=seconds,
        processes=processes,
        e2e_s=e2e,
        keep_text=keep_text,
        ttft_s=ttft,
        tpot_s=tpot,
        baseline_s=baseline,
        zone=zone,
        price=number_or_words(price),
        in_flight=max_in_flight,
        timeout_s=timeout,
        drain_s=drain,
        warm_up=warm_up,
        attain=attain / 100,
    )
    if sweep is not None:
        ask = ask.swept(sweep)
    if search:
        ask = replace(ask.searched(), search_s=search_seconds)
    check_paths(records, report or ())
    models = shares_of(model) if model else {}
    target = {
        "dialect": dialect,
        "endpoint": asked.endpoint,
        "stream": stream,
        "api_key_env": api_key_env,
        "api_key_file": api_key_file,
        "ca_file": ca_file,
        "verify_tls": not insecure,
        "extra_body": _fields(body),
        "extra_headers": _headers(header or []),
        "models": models,
        "chat_template": ChatTemplate.of(chat_template) if chat_template else None,
        **({"model": model} if model and not models else {}),
    }
    if where.startswith("local:") and dialect == "auto":
        del target["dialect"]
    options = _options(slots or ask.slots, context, threads, number_format, seed, 0, prompt_cache=False)
    outcome = run_bench(
        where,
        ask,
        options,
        target,
        name=name or "",
        tags=parse_tags(tag or []),
        live=not quiet,
        server_pids=tuple(server_pid or ()),
        power=" ".join(power) if power else None,
        wait_s=wait,
    )
    write_files(outcome, records, report or ())
    taken = write_json(outcome.as_dict(), json_path)
    if not quiet:
        from wattmark.cli.llm.render import render

        render(console(stderr=taken), outcome)
    if outcome.interrupted:
        raise typer.Exit(130)
    best = outcome.best
    if not any(result.load.ok for result in outcome.results) or (search and best and best.largest is None):
        raise typer.Exit(1)


app.command()(train)


def _fields(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    import json
    from pathlib import Path

    try:
        if text.startswith("@"):
            text = Path(text[1:]).expanduser().read_text(encoding="utf-8-sig")
        fields: Any = json.loads(text)
    except OSError as error:
        raise ConfigError(f"--body: {text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(
            f"--body is no JSON: {error}", hint="write --body '{\"temperature\": 0.7}'"
        ) from None
    if not isinstance(fields, dict):
        raise ConfigError("--body is no JSON object", hint="write --body '{\"temperature\": 0.7}'")
    return cast("dict[str, Any]", fields)


def _headers(given: list[str]) -> dict[str, str]:
    pairs = [text.partition(":") for text in given]
    if any(not colon for _, colon, _ in pairs):
        raise ConfigError("a header needs a name and a value", hint="write --header 'X-Tenant: a'")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _options(
    slots: int | None,
    context: int,
    threads: int | None,
    number_format: str,
    seed: int,
    port: int,
    prompt_cache: bool,
) -> ServerOptions:
    from wattmark.serving.server.gguf import NUMBER_FORMATS
    from wattmark.serving.server.local import ServerOptions

    for choice in NUMBER_FORMATS:
        if number_format == choice:
            return ServerOptions(
                slots=slots or 4,
                context=context,
                threads=threads,
                number_format=choice,
                seed=seed,
                port=port,
                prompt_cache=prompt_cache,
            )
    raise ConfigError(
        f"--number-format cannot be {number_format!r}", hint=f"one of {', '.join(NUMBER_FORMATS)}"
    )
