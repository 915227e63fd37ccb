#!/usr/bin/python3
"""Makes files of tests/corpus out of PostgreSQL's own texts: each statement once, a line "----" between two of them.

usage: tests/lib/corpus.py docs FOLDER          the SQL examples in the HTML pages of Debian's postgresql-doc-15
       tests/lib/corpus.py regress FILE...      statements of src/test/regress/sql, those of like shape once
       tests/lib/corpus.py hidden FILE          the queries in what psql -E has printed
       tests/lib/corpus.py log FILE             the statements in a csvlog that log_statement = all has made
       tests/lib/corpus.py dump FILE            the statements of a dump in plain format
Prints the file.
"""

import csv
import html
import pathlib
import re
import sys

SEPARATOR = "\n----\n"
FIRST_WORDS = set("""abort alter analyze begin call checkpoint close cluster comment commit copy create deallocate
declare delete discard do drop end execute explain fetch grant import insert listen load lock merge move notify prepare
reassign refresh reindex release reset revoke rollback savepoint security select set show start table truncate unlisten
update vacuum values with""".split())
LONGEST = 20000

# One piece that holds no semicolon of the statement's own: comments, strings, names, dollar quotes.
PIECE = re.compile(r"""--[^\n]*|/\*.*?\*/|[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"
    |(?<![\w$])(\$(?:[A-Za-z_]\w*)?\$).*?\1|[;()]|\w+""", re.X | re.S)


def split(text):
    """The statements of a text; a psql command ends its line."""
    text = re.sub(r"^\\(?!\.$).*$", ";", text, flags=re.M)
    start = depth = body = 0
    for match in PIECE.finditer(text):
        word = match.group().lower()
        if word in "()":
            depth = max(0, depth + (1 if word == "(" else -1))
        elif word == "atomic" or (body and word == "case"):
            body += 1
        elif body and word == "end":
            body -= 1
        elif word == ";" and depth == 0 and body == 0:
            yield text[start:match.start()].strip()
            start = match.end()
    yield text[start:].strip()


def is_sql(statement):
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", statement, flags=re.S).lstrip(" \n\t(")
    word = re.match(r"[A-Za-z]+", bare)
    return word and word.group().lower() in FIRST_WORDS and len(statement) <= LONGEST and " " in statement


def doc_statements(folder):
    pages = sorted(pathlib.Path(folder).rglob("*.html"))
    for page in pages:
        text = page.read_text(encoding="utf-8", errors="replace")
        for kind, block in re.findall(r'<pre class="(programlisting|screen)">(.*?)</pre>', text, re.S):
            block = html.unescape(re.sub(r"<[^>]*>", "", block))
            if re.search(r"^\w*[=-][>#] ", block, re.M):  # a dialogue: what stands behind the prompts
                block = "\n".join(line for line in re.findall(r"^\w*[=('\"*$-][>#] ?(.*)$", block, re.M))
            yield from filter(is_sql, split(block))


def regress_statements(paths):
    seen = set()
    for path in paths:
        for statement in filter(is_sql, split(pathlib.Path(path).read_text(encoding="utf-8", errors="replace"))):
            shape = re.sub(r"\d+|\s+|'[^']*'|\b[a-z]\w{0,2}\b", "", statement.lower())
            if shape not in seen:
                seen.add(shape)
                yield statement


def hidden_statements(path):
    text = pathlib.Path(path).read_text()
    for query in re.findall(r"\*+ QUERY \*+\n(.*?)\n\*{10,}", text, re.S):
        yield query.strip().rstrip(";")


def log_statements(path):
    with open(path, newline="") as lines:
        for row in csv.reader(lines):
            match = re.match(r"(?:statement|execute [^:]*): (.*)", row[13], re.S)
            if match:
                yield from split(match.group(1))


def dump_statements(path):
    text = pathlib.Path(path).read_text()
    text = re.sub(r"(FROM stdin;\n).*?^\\\.$", r"\1", text, flags=re.S | re.M)
    return split(text)


def main():
    what, arguments = sys.argv[1], sys.argv[2:]
    found = {"docs": lambda: doc_statements(arguments[0]), "regress": lambda: regress_statements(arguments),
             "hidden": lambda: hidden_statements(arguments[0]), "log": lambda: log_statements(arguments[0]),
             "dump": lambda: dump_statements(arguments[0])}[what]()
    unique = dict.fromkeys(statement for statement in found if statement and "\n----" not in statement)
    sys.stdout.write(SEPARATOR.join(unique))


main()
