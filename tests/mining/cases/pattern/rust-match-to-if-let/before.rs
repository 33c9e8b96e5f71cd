fn f(o: Option<u8>) {
    match o {
        Some(x) => go(x),
        None => {}
    }
}
