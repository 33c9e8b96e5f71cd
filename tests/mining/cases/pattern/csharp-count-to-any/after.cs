class A
{
    void F()
    {
        if (items.Any())
        {
            G();
        }
    }
}
