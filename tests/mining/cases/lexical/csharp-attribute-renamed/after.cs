public class CartTests
{
    [Fact]
    public void Adds() { }
}
