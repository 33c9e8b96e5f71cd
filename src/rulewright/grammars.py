"""Node kinds of ast-grep 0.51 by language: the one table for all modules that read code.

`GRAMMARS` has one row a language; the sets and patterns below it name roles that several languages
spell alike. Kinds are those of the tree-sitter grammars. Nothing is parsed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rulewright.languages import SCRIPTS, Language


@dataclass(frozen=True)
class Grammar:
    """Node kinds of one language."""

    call: str
    callee: str
    """Field of the call that holds the function's name (or the member expression)."""
    arguments: str
    member: str
    """`a.b` where it is not called; the call's callee too, except in Java."""
    property: str
    """Field of `member` that holds the name after the dot."""
    identifier: str
    integer: tuple[str, ...]
    string: tuple[str, ...]
    imports: tuple[str, ...]
    wrap: str = "%s"
    """Context in which a call or expression pattern parses as meant."""
    keywords: frozenset[str] = frozenset()


_COMMON: Final = frozenset(
    {"self", "cls", "this", "super", "print", "None", "True", "False", "_", "err", "ok"}
)
_JS = Grammar(
    "call_expression", "function", "arguments", "member_expression", "property", "identifier",
    ("number",), ("string",), ("import_statement",),
    keywords=_COMMON
    | {"undefined", "require", "module", "exports", "console", "process", "arguments", "async"},
)  # fmt: skip
GRAMMARS: Final[dict[Language, Grammar]] = {
    "python": Grammar(
        "call", "function", "argument_list", "attribute", "attribute", "identifier",
        ("integer",), ("string",), ("import_from_statement", "import_statement"),
        keywords=_COMMON | {"len", "str", "int", "list", "dict", "set", "tuple", "type", "isinstance",
                            "Exception", "super", "range", "bool", "object", "__name__", "open"},
    ),
    "javascript": _JS,
    "typescript": _JS,
    "tsx": _JS,
    "java": Grammar(
        "method_invocation", "name", "argument_list", "field_access", "field", "identifier",
        ("decimal_integer_literal",), ("string_literal",), ("import_declaration",), keywords=_COMMON,
    ),
    "go": Grammar(
        "call_expression", "function", "argument_list", "selector_expression", "field", "identifier",
        ("int_literal",), ("interpreted_string_literal",), ("import_spec",),
        wrap="package p\nfunc f() { %s }",
        keywords=_COMMON
        | {"nil", "true", "false", "append", "make", "len", "cap", "new", "panic", "string", "error"},
    ),
}  # fmt: skip

TYPED: Final = frozenset({"java", "go", "rust", "c", "cpp", "typescript", "tsx"})
"""Languages whose trees tell the name of a type from another name."""
TYPE_NAMES: Final = frozenset({"identifier", "type_identifier"})
"""Kinds of the nodes that name a type in these."""

# Roles of nodes, by the kind's name.

ERROR: Final = "ERROR"
ROOT: Final[dict[Language, str]] = {
    "python": "module", "javascript": "program", "typescript": "program", "tsx": "program",
    "java": "program", "go": "source_file", "c": "translation_unit", "cpp": "translation_unit",
    "rust": "source_file", "ruby": "program", "php": "program", "csharp": "compilation_unit",
    "kotlin": "source_file",
}  # fmt: skip
"""The node that every file has."""
ROOTS: Final = frozenset({*ROOT.values(), ERROR})
"""A whole file, or what could not be parsed: never what a rule is about."""
TOP_LEVEL_ONLY: Final[dict[Language, frozenset[str]]] = {
    language: frozenset({"import_statement", "export_statement"}) for language in SCRIPTS
}
"""Statements that may stand nowhere but at the top level, where the grammar takes them anywhere."""
LIST: Final = re.compile(
    r"arguments|argument_list|(?:keyword|variadic)_argument|parameters|parameter_list|^list$|^tuple$"
    r"|array(?!_type|_access)|^object|dictionary|^set$|^hash$|block$|_body$|_list$|initializer"
    r"|named_imports|^body_statement|^statements$|expression_list|element_value|literal_value|^collection_expression$"
)
"""Holds items in a row, of which some may be one `$$$X`."""
BRACKETED: Final = re.compile(
    r"^(?:list|array|tuple|set|hash|dictionary|object)(?:_expression|_creation_expression|_literal)?$"
)
"""A value that begins and ends with brackets; a list of arguments does so and is none."""
NAME: Final = re.compile(
    r"identifier$|^name$|_name$|^self$|^this$|^super$|^constant$|_variable$|_key_symbol$"
)
BODY: Final = re.compile(r"block$|_body$|^body_statement$")
STATEMENTS: Final = re.compile(r"block$|(?<!heredoc)_body$|^statement_list$|^body_statement$|^statements$")
ITEMS: Final = re.compile(
    rf"{STATEMENTS.pattern}|{BRACKETED.pattern}|^compound_statement$|declaration_list$|^then$|^else$|_case$"
    r"|^case_statement$|^switch_section$|_statement_group$|^literal_value$|initializer_list$|^jsx_element$"
)
"""Holds statements, or what is written and changed by itself as they are: options, elements."""
CLASS: Final = re.compile(r"^class")
VALUE: Final = re.compile(r"string|number|integer|float|literal|char|simple_symbol")
MODIFIER: Final = re.compile(
    r"^modifiers$|^modifier$|(?<!^if)(?<!^unless)(?<!^while)(?<!^until)(?<!^rescue)_modifier$|annotation$"
    r"|^decorator$|attribute_item|^attribute_list$"
)
SUFFIXES: Final = frozenset({"navigation_suffix", "call_suffix", "indexing_suffix"})
"""The end of an expression, which is none by itself: `.name`, `(…)`, `[…]`."""
CALL_PARTS: Final = SUFFIXES | {"argument_list", "arguments", "value_arguments"}
"""What says nothing without the call that it belongs to."""
ARGUMENTS: Final = re.compile(r"argument|parameter")
IMPORT: Final = re.compile(
    r"import|package_clause|package_header|^use_declaration$|^namespace_use|^using_directive$|include"
)
DECLARATOR: Final = re.compile(r"declarator$|_spec$|^assignment$|^expression_statement$")
CALL: Final = re.compile(
    r"^call$|^call_expression$|^method_invocation$|^macro_invocation$|^invocation_expression$"
    r"|^(?:function|member|nullsafe_member|scoped)_call_expression$"
)
MEMBERS: Final = frozenset(
    {
        "attribute", "member_expression", "selector_expression", "field_expression", "scoped_identifier",
        "qualified_identifier", "field_access", "member_access_expression", "scope_resolution",
        "navigation_expression", "navigation_suffix", "qualified_name",
    }
)  # fmt: skip
"""`a.b`, `a::b`: a name behind its qualifier."""
FIXED_NAMES: Final = frozenset(
    {
        "scoped_identifier", "dotted_name", "predefined_type", "primitive_type", "qualified_name",
        "scope_resolution", "user_type", "named_type",
    }
)  # fmt: skip
"""Kinds that name what code is about though their kind is no plain name."""
LOOSE: Final = (
    (
        "named_expression", "assignment_expression", "augmented_assignment_expression",
        "compound_assignment_expr", "operator_assignment", "lambda", "lambda_expression", "arrow_function",
        "closure_expression", "method_reference", "yield", "yield_expression", "throw_expression",
        "if_expression", "when_expression", "switch_expression", "function_type", "constructor_type",
    ),
    (
        "conditional_expression", "ternary_expression", "conditional", "range_expression", "elvis_expression",
        "conditional_type",
    ),
    ("boolean_operator", "disjunction_expression", "conjunction_expression"),
    ("not_operator",),
    ("comparison_operator", "comparison_expression", "equality_expression", "check_expression"),
    (
        "binary_operator", "binary_expression", "binary", "instanceof_expression", "as_expression",
        "satisfies_expression", "infix_expression", "additive_expression", "union_type", "bounded_type",
    ),
    ("multiplicative_expression", "type_cast_expression", "intersection_type"),
    (
        "unary_operator", "unary_expression", "unary", "unary_op_expression", "prefix_expression",
        "prefix_unary_expression", "cast_expression", "type_assertion", "pointer_expression",
        "reference_expression", "update_expression", "reference_type", "readonly_type", "index_type_query",
        "infer_type",
    ),
    ("await", "await_expression"),
)  # fmt: skip
"""Expressions and types by how tightly they hold together, the loosest first: what needs parentheses where
a tighter one is wanted. Kinds of several languages; within a language they do not cross."""
LEVELS_OF_OPERATIONS: Final = (1, 2, 4, 5, 6)
"""The levels of `LOOSE` whose operators stand between their operands."""
OPERATIONS: Final = frozenset(
    {"binary_operator", "binary_expression", "binary", "boolean_operator", "infix_expression"}
)
"""Kinds of `LOOSE` whose operators hold more or less tightly together."""
OPERATORS: Final = {
    **dict.fromkeys(("||", "or", "??"), (0, 0)),
    **dict.fromkeys(("&&", "and"), (1, 1)),
    **dict.fromkeys(("==", "!=", "===", "!==", "<", "<=", ">", ">=", "in", "instanceof", "<=>"), (2, 2)),
    **dict.fromkeys(("&", "|", "^"), (2, 5)),
    **dict.fromkeys(("<<", ">>", ">>>"), (3, 5)),
    **dict.fromkeys(("+", "-", "."), (4, 4)),
    **dict.fromkeys(("*", "/", "%", "//", "@"), (5, 5)),
    "**": (6, 6),
}
"""How tightly an operator holds together what it joins, and what it takes as an operand: where languages
differ, the least of the one and the most of the other."""
ASSOCIATIVE: Final = frozenset({"||", "or", "&&", "and", "&", "|", "+", "*"})
"""Operators that may be joined with themselves in any order."""
SPREADS: Final = (
    "keyword_argument", "list_splat", "dictionary_splat", "spread_element", "variadic_argument",
    "splat_argument", "hash_splat_argument", "block_argument", "variadic_unpacking", "spread_expression",
)  # fmt: skip
"""Arguments that are no expressions: they stand among arguments only, some of them only after all others."""
TYPE_SPREADS: Final = ("wildcard", "type_projection_modifiers", "string")
"""What stands among the arguments of a type and is no type; a string there is the name of one."""
_LAST_PARAMETERS: Final = ("dictionary_splat_pattern", "spread_parameter", "variadic_parameter_declaration")
LAST_ITEMS: Final = {
    True: ((*SPREADS, "pair"), ()),
    False: (
        ("default_parameter", "typed_default_parameter", "optional_parameter", "list_splat_pattern",
         *_LAST_PARAMETERS),
        _LAST_PARAMETERS,
    ),
}  # fmt: skip
"""After which arguments (`True`) and parameters none may stand: none without a name, and none with one."""
WRAPPED_ARGUMENTS: Final = frozenset({"argument", "value_argument"})
"""Kinds of arguments whose kind does not tell `*a` and `key=a` from others."""
BLOCKS: Final = ("block", "statement_block", "compound_statement")
"""Statements between braces: what a lambda may have for its body, and nothing else takes for a value."""
MEMBER_FIELDS: Final = frozenset({"attribute", "field", "method", "name", "property"})
"""Where the name of a member stands in what takes or calls it."""
PREFIXES: Final = frozenset({kind for level in LOOSE[7:] for kind in level})
"""Expressions that begin with their operator."""
OWNERS: Final = frozenset(
    {
        "attribute", "member_expression", "selector_expression", "field_expression", "field_access",
        "member_access_expression", "navigation_expression",
    }
)  # fmt: skip
"""`a.b`, where `a` may be any expression."""
ASSIGNMENTS: Final = frozenset(
    {"assignment", "assignment_expression", "augmented_assignment", "augmented_assignment_expression"}
)
"""What gives a value to what stands on its left."""
INDEXED: Final = frozenset(
    {
        "subscript", "subscript_expression", "index_expression", "array_access", "element_reference",
        "element_access_expression", "indexing_expression",
    }
)  # fmt: skip
"""`a[b]`."""
TYPE: Final = re.compile(r"_type$|_type_query$")
SUFFIXED_TYPES: Final = frozenset({"array_type", "lookup_type", "nullable_type", "optional_type"})
"""`A[]`, `A[B]` and `A?`, as far as their first child is a type."""
TYPE_WRAPPERS: Final = frozenset({"type", "type_projection"})
"""Holds a type, or a type with what else may stand among the arguments of a type."""
OPTIONS: Final = frozenset({"array_element_initializer", "keyed_element", "pair", "pair_pattern"})
"""A key with its value, one of several: what holds them says what the key means."""
KEYED: Final = frozenset(
    {
        "keyword_argument", "argument", "value_argument", "element_value_pair", "pair", "keyed_element",
        "literal_element", "field_initializer", "jsx_attribute",
    }
)  # fmt: skip
"""A value with the name of what it is for, or what holds the name."""
KEYED_LISTS: Final = frozenset(
    {
        "argument_list", "arguments", "value_arguments", "call_suffix", "annotation_argument_list", "object",
        "literal_value", "field_initializer_list",
    }
)  # fmt: skip
"""Holds such values, between them and what has them."""
MADE: Final = frozenset(
    {"new_expression", "object_creation_expression", "composite_literal", "struct_expression", "annotation"}
)
"""Beside calls, what has a type and values with names."""
MEMBER_NAMES: Final = frozenset({"property_identifier", "field_identifier", "type_identifier"})
APART: Final = (
    "import_statement", "import_from_statement", "import_declaration", "attribute", "string", "decorator",
    "member_expression", "field_access", "function_definition", "class_definition", "class_declaration",
    "method_declaration", "function_declaration", "call", "call_expression", "argument_list", "arguments",
    "using_directive", "namespace_use_declaration", "import_header", "invocation_expression",
    "member_access_expression", "function_call_expression", "member_call_expression", "navigation_expression",
    "value_arguments",
)  # fmt: skip
"""Places in which a word may mean something else than outside."""

# Fields by which a parent holds a node.

FIELDS: Final = (
    "function", "name", "property", "attribute", "field", "object", "operand", "value", "left", "right",
    "operator", "arguments", "argument", "body", "condition", "consequence", "alternative", "type",
    "constructor", "method", "parameters", "module_name", "source", "superclass", "superclasses", "key",
    "declarator", "return_type", "type_arguments", "subscript", "index", "decorator", "definition",
    "expression", "path", "package", "result", "element", "scope", "macro", "label", "alias", "pattern",
)  # fmt: skip
"""Those that decide a node's role, in the order in which they are tried."""
UNNAMED_ROLES: Final = {
    ("call_expression", "simple_identifier"): "function",
    ("call_expression", "navigation_expression"): "function",
    ("navigation_suffix", "simple_identifier"): "property",
    ("function_declaration", "simple_identifier"): "name",
    ("enum_entry", "simple_identifier"): "name",
    ("class_declaration", "type_identifier"): "name",
    ("object_declaration", "type_identifier"): "name",
    ("object_creation_expression", "name"): "type",
    ("class_constant_access_expression", "name"): "property",
}
"""The role of a node, by its parent's kind and its own, where the grammar has no field for it."""
CALLEE_FIELDS: Final = frozenset({"function", "constructor"})
NAME_FIELDS: Final = frozenset(
    {"property", "attribute", "field", "function", "constructor", "type", "method"}
)
"""What stands here names what the code is about."""
DECLARED_FIELDS: Final = frozenset({"name", "left", "key", "declarator"})
ROLE_FIELDS: Final = frozenset({"name", "attribute", "property", "field", "key", "label", "alias"})

CONSTANTS: Final = frozenset(
    {
        "None", "True", "False", "null", "undefined", "true", "false", "nil", "self", "this", "super", "cls",
        "NULL", "nullptr", "iota", "$this", "TRUE", "FALSE",
    }
)  # fmt: skip

_IMPORT_LINE: Final[dict[Language, str]] = {
    "python": r"^\s*(?:from|import)\b.*",
    "go": r'^\s*(?:import\b.*|(?:\w+\s+)?"[\w./-]+")$',
    "ruby": r"^\s*(?:require|require_relative|load|autoload)\b.*",
    "csharp": r"^\s*(?:global\s+)?using\b(?!\s*\().*",
}
_ANY_IMPORT_LINE: Final = r"^\s*(?:import\b.*|export\b.*\bfrom\b.*|.*\brequire\(.*|use\b.*|#include.*)"


def import_line(language: Language) -> re.Pattern[str]:
    """What a line that imports something looks like, in many lines of text."""
    return re.compile(_IMPORT_LINE.get(language, _ANY_IMPORT_LINE), re.MULTILINE)
