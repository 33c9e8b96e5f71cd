class A
{
    void F(string name)
    {
        if (name == null) throw new ArgumentNullException(nameof(name));
        G(name);
    }
}
