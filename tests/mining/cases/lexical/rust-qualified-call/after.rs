fn f() -> Place {
    Place::sample()
}
