fn f() -> R {
    let x = read(a)?;
    x
}
