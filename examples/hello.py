"""A workflow without a model: quarterdeck run examples/hello.py, or python examples/hello.py"""

from quarterdeck import Runtime, workflow


@workflow
async def hello(ctx, name="you"):
    await ctx.environment()  # a sandboxed computer without network
    said = await ctx.shell(["echo", f"Hello, {name or 'you'}, from inside."])
    return said.stdout.text.strip()


if __name__ == "__main__":
    print(Runtime().run(hello, "reader"))
