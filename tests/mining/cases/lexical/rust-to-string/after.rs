fn f() -> String {
    "a".to_string()
}
