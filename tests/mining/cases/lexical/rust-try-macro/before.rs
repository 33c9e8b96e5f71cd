fn f() -> R {
    let x = try!(read(a));
    x
}
