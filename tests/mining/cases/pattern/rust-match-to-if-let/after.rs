fn f(o: Option<u8>) {
    if let Some(x) = o {
        go(x)
    }
}
