fn f() -> String {
    "a".to_owned()
}
